/* Profiles for tests: the driver's folders and devices, Landlock, wide filters for all languages.
 */
#ifndef SA_TEST_NODE_PROFILES_H
#define SA_TEST_NODE_PROFILES_H

#include "nodelink/profile.h"

/* Change what you like; sa_profile_deinit(). */
void profile_default(struct sa_profile *profile);
void list_add(struct sa_text_list *list, const char *text);
void list_clear(struct sa_text_list *list);
struct sa_profile_filter *filter_of(struct sa_profile *profile, const char *language);

#endif
