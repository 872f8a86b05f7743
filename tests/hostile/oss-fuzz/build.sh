#!/bin/bash -eu
# SPDX-License-Identifier: MIT
#
# Builds the fuzzers of tests/hostile as OSS-Fuzz asks: $CC, $CXX, $CFLAGS, $CXXFLAGS and $LIB_FUZZING_ENGINE are given, and
# $OUT receives a program, a seed archive, a dictionary and the options for each. The same works with AFL++, where $CC is
# afl-clang-fast and $LIB_FUZZING_ENGINE is -fsanitize=fuzzer.

cd "$(dirname "$0")/../../.."
work=${WORK:-$(mktemp -d)}
flags=(-std=c11 -D_GNU_SOURCE -DE2D_INSTRUMENT -DE2D_ATOMICS_BUILTIN -I include -I lib/core)
mkdir -p "$work/objects"

compile() {
    "$CC" $CFLAGS "${flags[@]}" "${@:3}" -c "$1" -o "$work/objects/$2.o"
}

while read -r source; do
    compile "lib/core/$source" "core_${source//\//_}" -ffreestanding
done <lib/core/sources
for source in lib/testkit/*.c lib/hosted/*.c; do
    case $source in
    */explored_lock.c | */lock_atomic_ops.c | */lock_pthread.c | */process_none.c) ;;
    *) compile "$source" "${source//\//_}" ;;
    esac
done
rm -f "$work/library.a"
ar rcs "$work/library.a" "$work"/objects/*.o

bodies=(tests/hostile/{fuzz,edit,operate,session,small}.c tests/fuzz/{fail,plugs,reports}.c)
case ${FUZZING_ENGINE:-libfuzzer} in
libfuzzer) bodies+=(tests/hostile/fuzz_mutator.c) ;; # calls LLVMFuzzerMutate(), which the other engines lack
esac
for target in image calls both faults; do
    objects=()
    for source in "${bodies[@]}"; do
        object=$work/${target}_$(basename "$source").o
        "$CC" $CFLAGS "${flags[@]}" -DFUZZ_TARGET="FUZZ_${target^^}" -c "$source" -o "$object"
        objects+=("$object")
    done
    "$CXX" $CXXFLAGS "${objects[@]}" "$work/library.a" $LIB_FUZZING_ENGINE -lpthread -o "$OUT/hostile_$target"
    cp tests/hostile/oss-fuzz/hostile.dict "$OUT/hostile_$target.dict"
    cp "tests/hostile/oss-fuzz/hostile_$target.options" "$OUT/"
    rm -f "$OUT/hostile_${target}_seed_corpus.zip"
    python3 -m zipfile -c "$OUT/hostile_${target}_seed_corpus.zip" "tests/hostile/seeds/$target/"*
done
