/*
 * A node on a string: it listens where the agent's client connects, keeps what it is asked, and
 * answers what the test says. In the loop of the test; links are socketpairs.
 */
#ifndef SA_TEST_AGENT_PUPPET_H
#define SA_TEST_AGENT_PUPPET_H

#include "fixture.h"

enum { REQUESTS_MAX = 256, LINKS_MAX = 64 };

struct request {
    enum sa_node_type type;
    uint32_t call;
    char id[SA_ID_BYTES];
    int64_t after; /* of a LIST */
    bool open;     /* not answered, and its connection is there */
};

struct puppet {
    struct world *w;
    int listener, socket; /* -1: not connected */
    uv_poll_t accepting, *reading;
    struct request requests[REQUESTS_MAX];
    size_t count;
    int links[LINKS_MAX]; /* our ends */
    size_t link_count;
};

/* An agent over a puppet; the agent is not ready: the LIST is not answered. */
int puppet_setup(void **state); /* *state: a puppet */
int puppet_teardown(void **state);
void puppet_start_agent(struct puppet *p);

/* The connection breaks; the client comes again by itself, until puppet_deaf(). */
void puppet_drop(struct puppet *p);
void puppet_deaf(struct puppet *p, bool deaf);

/* The oldest open one; waited for. `id` NULL: any. */
struct request *puppet_wait(struct puppet *p, enum sa_node_type type, const char *id);
size_t puppet_open(const struct puppet *p, enum sa_node_type type);
bool puppet_asked(const struct puppet *p, enum sa_node_type type, const char *id);

/* Answers. A link's end of ours is returned; it has said HELLO if `hello`. */
int puppet_link(struct puppet *p, struct request *request, bool hello);
int puppet_link_frozen(struct puppet *p, struct request *request); /* says nothing yet */
void puppet_hello(int link);
void puppet_unlink(struct puppet *p, int link);
void puppet_refuse(struct puppet *p, struct request *request, enum sa_code code, const char *path);
void puppet_destroyed(struct puppet *p, struct request *request);
void puppet_counts(struct puppet *p, struct request *request, int64_t cpu_us, int64_t peak_bytes);
/* Names, separated by spaces. */
void puppet_list(struct puppet *p, const char *names);
/* A part of the list, which goes on behind `more`. */
void puppet_list_part(struct puppet *p, const char *names, int64_t more);
/* One control and one that is weaker. */
void puppet_facts(struct puppet *p, struct request *request, const char *control,
                  const char *weaker);
void puppet_exited(struct puppet *p, const char *id);

/* A Pod that is ready over the puppet. Returns our end of its link. */
int puppet_ready(struct puppet *p, const char *name, struct user *user);

#endif
