/* qsort over numbers and strings, and a merge sort of a linked list. */
#include "start.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state = 99;

static uint64_t next(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static int by_text(const void *a, const void *b) { return strcmp(a, b); }

struct node {
    struct node *next;
    int32_t key;
};

static struct node *merge(struct node *a, struct node *b) {
    struct node head, *tail = &head;
    while (a && b) {
        struct node **least = a->key <= b->key ? &a : &b;
        tail->next = *least;
        tail = *least;
        *least = (*least)->next;
    }
    tail->next = a ? a : b;
    return head.next;
}

static struct node *sort(struct node *list) {
    if (!list || !list->next) return list;
    struct node *slow = list, *fast = list->next;
    while (fast && fast->next) {
        slow = slow->next;
        fast = fast->next->next;
    }
    struct node *behind = slow->next;
    slow->next = 0;
    return merge(sort(list), sort(behind));
}

int main(void) {
    static uint64_t numbers[4000];
    static char names[800][12];
    static struct node nodes[2000];
    for (size_t n = 0; n < 4000; n++) numbers[n] = next();
    qsort(numbers, 4000, sizeof numbers[0], by_value);
    for (size_t n = 0; n < 800; n++) {
        uint64_t bits = next();
        for (size_t at = 0; at < 3 + bits % 8; at++) names[n][at] = 'a' + (bits >> (5 * at)) % 26;
    }
    qsort(names, 800, sizeof names[0], by_text);
    for (size_t n = 0; n < 2000; n++) {
        nodes[n].key = (int32_t)next();
        nodes[n].next = n + 1 < 2000 ? &nodes[n + 1] : 0;
    }
    struct node *list = sort(nodes);
    int64_t sum = 0;
    for (int64_t place = 1; list; list = list->next, place++) sum += place * list->key;
    put(numbers, sizeof numbers);
    put(names, sizeof names);
    put(&sum, sizeof sum);
    return 0;
}
