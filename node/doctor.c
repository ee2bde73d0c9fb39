#include "doctor.h"
int sa_doctor_print(FILE *out) { fputs("[]\n", out); return 0; }
