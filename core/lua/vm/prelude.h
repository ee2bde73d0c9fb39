/* The texts of prelude/, as the build makes them. */
#ifndef SA_LUA_PRELUDE_H
#define SA_LUA_PRELUDE_H

extern const char sa_prelude_lists[], sa_prelude_declare[];

#endif
