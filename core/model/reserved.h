/* Names of annotations, labels and finalizers that are the server's; clients may not set them. */
#ifndef SA_MODEL_RESERVED_H
#define SA_MODEL_RESERVED_H

#define SA_RESERVED_PREFIX "secureagent.dev/"

#endif
