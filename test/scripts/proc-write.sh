#!/bin/sh
# What a process may say of itself in /proc.
cd /proc/self || exit
me=/proc/$$
for n in 5 1000 1001 -1001 x 300; do
	(echo $n >$me/oom_score_adj) 2>/dev/null
	echo "$n $? $(cat $me/oom_score_adj /proc/self/oom_score_adj $me/oom_adj | tr '\n' ' ')"
done
for n in 10 15 16; do
	(echo $n >$me/oom_adj) 2>/dev/null
	echo "$n $? $(cat $me/oom_score_adj $me/oom_adj | tr '\n' ' ')"
done
echo name >$me/comm
cat $me/comm
(echo 1 >$me/stat) 2>/dev/null || echo no
(echo 1 >$me/no-such) 2>/dev/null || echo no
