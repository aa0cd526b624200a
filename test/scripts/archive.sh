#!/bin/bash
# needs: tar gzip xz
mkdir -p t/sub && seq 1 20000 >t/numbers && ln -s numbers t/link && ln t/numbers t/hard && head -c 300000 /dev/zero >t/sub/zeros && chmod 640 t/sub/zeros
tar cf t.tar --sort=name --mtime=@0 --owner=0 --group=0 t && sha256sum <t.tar
tar tvf t.tar | awk '{print $1,$3,$6,$7,$8}'
mkdir x && tar xf t.tar -C x && diff -r t x/t && echo same; stat -c '%a %h' x/t/sub/zeros x/t/numbers
gzip -n -c t.tar | sha256sum; gzip -c t.tar | gunzip | cmp - t.tar && echo gzip; xz -c t.tar | xz -d | cmp - t.tar && echo xz
tar czf - t | tar tzf - | sort; rm -rf t x t.tar
