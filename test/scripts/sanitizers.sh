#!/bin/sh
# Programs built with sanitizers say what they say elsewhere.
# needs: gcc
cat >leak.c <<X
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int ready[2];

static void *holds(void *arg) {
	void *volatile p = malloc(77);
	*(char *)p = 1;
	write(ready[1], "x", 1);
	pause();
	return p;
}

int main(void) {
	pthread_t t[3];
	char b[3];
	pipe(ready);
	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], 0, holds, 0);
	for (int i = 0; i < 3; i++)
		read(ready[0], b, 1);
	void *volatile lost = malloc(1234);
	*(char *)lost = 1;
	lost = 0;
	puts("end");
	return 0;
}
X
cat >race.c <<X
#include <pthread.h>
#include <stdio.h>

static int n;

static void *add(void *arg) {
	n++;
	return 0;
}

int main(void) {
	pthread_t t[2];
	for (int i = 0; i < 2; i++)
		pthread_create(&t[i], 0, add, 0);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], 0);
	printf("%d\n", n);
	return 0;
}
X
for kind in address leak; do
	gcc -w -g -fsanitize=$kind -o leak leak.c -lpthread || exit
	./leak 2>err
	echo "$kind $?"
	grep SUMMARY err
done
gcc -w -g -fsanitize=thread -o race race.c -lpthread && ./race 2>err
echo "thread $?"
grep -c 'WARNING: ThreadSanitizer: data race' err
rm -f leak race err
