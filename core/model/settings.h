/* What create and patch decode alike; for the files of this folder. */
#ifndef SA_MODEL_SETTINGS_H
#define SA_MODEL_SETTINGS_H

#include "model/sandbox.h"

enum { SA_LABEL_MAX_BYTES = 253, SA_ANNOTATION_KEY_MAX_BYTES = 253 };

extern const struct sa_lifecycle sa_lifecycle_defaults;
const char *sa_end_name(enum sa_end end); /* "delete" */

/* Keys and values as objects may have them (base/names.h). */
int sa_labels_check(const struct sa_json_obj *root, const struct sa_json_map *labels,
                    struct sa_error *err);
/* The member "annotations" of a create. */
int sa_annotations_decode(struct sa_json_obj *root, struct sa_json_map *annotations,
                          struct sa_error *err);
/* The member "lifecycle", over what *lifecycle holds: absent members stay, null ones go back to
 * their default. */
int sa_lifecycle_decode(struct sa_json_obj *root, struct sa_lifecycle *lifecycle,
                        struct sa_error *err);

/* The members "resources" and "lifecycle", as they are decoded. */
void sa_resources_put(struct sa_json_w *w, const struct sa_resources *resources);
void sa_lifecycle_put(struct sa_json_w *w, const struct sa_lifecycle *lifecycle);

#endif
