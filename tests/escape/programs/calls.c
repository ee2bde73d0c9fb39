/* System calls by number, each with arguments that nobody can do anything with: prints "NUMBER
 * ERRNO" lines. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        errno = 0;
        long result = syscall(strtol(argv[i], NULL, 10), -1L, -1L, -1L, -1L, -1L, -1L);
        printf("%s %d\n", argv[i], result < 0 ? errno : 0);
    }
    return 0;
}
