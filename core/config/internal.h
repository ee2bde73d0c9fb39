/* Shared inside core/config. */
#ifndef SA_CONFIG_INTERNAL_H
#define SA_CONFIG_INTERNAL_H

#include "config/config.h"

enum source { UNSET, DEFAULT, FROM_FILE, FROM_ENV, FROM_FLAG };

struct setting {
    char *text;   /* as given; the string itself for strings and paths; the last one of a list */
    char **items; /* of a list */
    size_t item_count;
    int64_t number;
    enum source source;
};

struct sa_config {
    const struct sa_option *options;
    struct setting *settings; /* one to an option */
    size_t count;
    char **args;
    size_t arg_count;
    bool help, print;
};

/* "--data-dir", and "dataDir" into `out` of NAME_BYTES. */
enum { NAME_BYTES = 64 };
void sa_config_camel(const char *name, char out[NAME_BYTES]);
/* Take `text` for option `index`, unless something stronger is there already. */
int sa_config_take(struct sa_config *config, size_t index, const char *text, enum source source,
                   struct sa_error *err);

#endif
