#!/bin/bash
# needs: git
export HOME=$PWD GIT_CONFIG_NOSYSTEM=1
export GIT_AUTHOR_DATE=2020-01-01T00:00:00Z GIT_COMMITTER_DATE=2020-01-01T00:00:00Z
git config --global user.email a@b; git config --global user.name n; git config --global init.defaultBranch main
git config --global core.fsync none; git config --global gc.auto 0
git init -q r && cd r
for i in $(seq 50); do mkdir -p d$((i%5)); seq $i $((i+100)) >d$((i%5))/f$i; done
git add . && git commit -qm one && git log --oneline
echo x >>d1/f1; git mv d2/f2 moved; git rm -q d3/f3; git status --short; git diff --stat
git commit -qam two; git branch side; git checkout -q side; echo y >side; git add side; git commit -qm three
git checkout -q main; git merge -q side; git log --oneline | wc -l
cd .. && git clone -q r c && cd c && git log --format=%s | sort && git gc -q && git fsck 2>&1 && git ls-files | wc -l
cd .. && rm -rf r c .gitconfig
