/* snprintf, strtoul, malloc and realloc: a table of numbers as text, read back. */
#include "start.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void) {
    char *text = malloc(16), line[96];
    size_t used = 0, room = 16;
    unsigned long seed = 12345, sum = 0;
    for (int n = 0; n < 300; n++) {
        seed = seed * 6364136223846793005ul + 1442695040888963407ul;
        int len = snprintf(line, sizeof line, "%4d|%-12lu|%#018lx|%+ld|%.5s|%c\n", n, seed % 1000003,
                           seed, (long)seed >> 40, "abcdefgh" + n % 4, 'a' + n % 26);
        while (used + len + 1 > room) text = realloc(text, room *= 2);
        memcpy(text + used, line, len + 1);
        used += len;
    }
    for (char *at = text; at && *at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : 0) {
        sum = sum * 31 + strtoul(at, 0, 10);
        sum ^= strtoul(strchr(at, '|') + 1, 0, 10);
    }
    put(text, used);
    put(&sum, sizeof sum);
    free(text);
    return 0;
}
