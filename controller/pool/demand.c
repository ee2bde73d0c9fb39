#include "controller/pool/demand.h"

#include <stdlib.h>
#include <string.h>

void sa_demand_claim(struct sa_demand *demand, int64_t second, bool hit)
{
    size_t slot = (size_t)(second % SA_DEMAND_SECONDS);
    if (demand->seconds[slot].second != second) {
        demand->seconds[slot].second = second;
        demand->seconds[slot].claims = demand->seconds[slot].misses = 0;
    }
    demand->seconds[slot].claims++;
    demand->seconds[slot].misses += !hit;
}

void sa_demand_refill(struct sa_demand *demand, int64_t ms)
{
    demand->refills[demand->refill_next] = ms;
    demand->refill_next = (demand->refill_next + 1) % SA_DEMAND_REFILLS;
    if (demand->refill_count < SA_DEMAND_REFILLS)
        demand->refill_count++;
}

/* Claims, misses and the busiest second of those after `since`. */
static void add_up(const struct sa_demand *demand, int64_t since, int64_t second, int64_t *claims,
                   int64_t *misses, int64_t *peak)
{
    *claims = *misses = *peak = 0;
    for (size_t i = 0; i < SA_DEMAND_SECONDS; i++) {
        if (demand->seconds[i].second <= since || demand->seconds[i].second > second)
            continue;
        *claims += demand->seconds[i].claims;
        *misses += demand->seconds[i].misses;
        if (demand->seconds[i].claims > *peak)
            *peak = demand->seconds[i].claims;
    }
}

void sa_demand_rates(const struct sa_demand *demand, int64_t second, struct sa_policy_demand *out)
{
    int64_t claims, misses, peak;
    add_up(demand, second - SA_DEMAND_SECONDS, second, &claims, &misses, &peak);
    *out = (struct sa_policy_demand){.claims_per_second = (double)claims / SA_DEMAND_SECONDS,
                                     .misses_per_second = (double)misses / SA_DEMAND_SECONDS,
                                     .claims_per_second_peak = (double)peak};
}

void sa_demand_sample(struct sa_demand *demand, int64_t second, double at, int64_t available,
                      int64_t assigned, int64_t size)
{
    struct sa_policy_sample sample = {
        .at = at, .available = available, .assigned = assigned, .size = size};
    if (demand->sampled_s && second - demand->sampled_s < SA_DEMAND_INTERVAL_S)
        return;
    /* The second that has only begun belongs to the next one. */
    int64_t since = demand->sampled_s ? demand->sampled_s - 1 : second - SA_DEMAND_INTERVAL_S;
    add_up(demand, since, second - 1, &sample.claims, &sample.misses, &sample.claims_peak);
    demand->sampled_s = second;
    size_t slot = (demand->sample_first + demand->sample_count) % SA_DEMAND_SAMPLES;
    demand->samples[slot] = sample;
    if (demand->sample_count < SA_DEMAND_SAMPLES)
        demand->sample_count++;
    else
        demand->sample_first = (demand->sample_first + 1) % SA_DEMAND_SAMPLES;
}

size_t sa_demand_history(const struct sa_demand *demand, struct sa_policy_sample *out)
{
    for (size_t i = 0; i < demand->sample_count; i++)
        out[i] = demand->samples[(demand->sample_first + i) % SA_DEMAND_SAMPLES];
    return demand->sample_count;
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

int64_t sa_demand_refill_ms(const struct sa_demand *demand, int percent)
{
    int64_t sorted[SA_DEMAND_REFILLS];
    size_t count = demand->refill_count;
    if (!count)
        return 0;
    memcpy(sorted, demand->refills, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, by_value);
    size_t at = (count * (size_t)percent + 99) / 100;
    return sorted[at ? at - 1 : 0];
}
