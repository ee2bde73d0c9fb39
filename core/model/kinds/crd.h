/*
 * CustomResourceDefinitions (apiextensions.k8s.io/v1) of the kinds, from their tables: structural
 * schemas with defaults, limits, enums, patterns and rules (CEL), status subresource, printer
 * columns, selectable fields, short names. tools/crds.py writes them to crds/.
 *
 * What a schema cannot say is left to the server's own decoding, and to the admission webhook:
 * that names of environment variables have no "=", that packages are such as pip or npm take, the
 * size of a free-form object and that it does not change, that fewer files than half of the memory
 * are the default, and lengths in bytes where a text is not ASCII (maxLength counts characters). A
 * fraction of a processor must be a text there ("500m" or "0.5").
 */
#ifndef SA_KINDS_CRD_H
#define SA_KINDS_CRD_H

#include "kinds/resources.h"

void sa_crd_print(const struct sa_resource *resource, struct sa_json_w *w);

#endif
