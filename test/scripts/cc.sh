#!/bin/bash
# needs: gcc make
cat >main.c <<X
#include <stdio.h>
int twice(int);
int main(void){printf("%d\n",twice(21));return 0;}
X
echo 'int twice(int x){return 2*x;}' >twice.c
printf 'CFLAGS=-O2\nall: prog\nprog: main.o twice.o\n\tgcc -o $@ $^\n' >Makefile
make -s -j2 && ./prog; make -s; rm -f prog *.o
