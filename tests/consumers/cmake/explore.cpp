/* SPDX-License-Identifier: MIT */
/* A test harness in C++: of every schedule of two threads that count without a lock, the explorer finds one that is wrong. */
#include <cstdio>
#include <cstring>

#include <ext2dax/testkit/explorer.h>

namespace
{

struct Fixture {
    ext2dax_explorer *explorer;
    int counter;
};

void count(void *arg)
{
    auto *fixture = static_cast<Fixture *>(arg);

    ext2dax_explorer_point(fixture->explorer, EXT2DAX_EXPLORER_LOAD, &fixture->counter);
    const int before = fixture->counter;
    ext2dax_explorer_point(fixture->explorer, EXT2DAX_EXPLORER_STORE, &fixture->counter);
    fixture->counter = before + 1;
}

void finish(void *arg)
{
    auto *fixture = static_cast<Fixture *>(arg);

    if (fixture->counter != 2)
        ext2dax_explorer_fail(fixture->explorer, "the counter is %d", fixture->counter);
}

} // namespace

int main()
{
    static Fixture fixture;
    ext2dax_scenario scenario = {};
    ext2dax_explorer_result result = {};

    fixture.explorer = ext2dax_explorer_open(nullptr);
    if (fixture.explorer == nullptr ||
        ext2dax_explorer_remember(fixture.explorer, &fixture.counter, sizeof fixture.counter) != 0)
        return 1;
    scenario.name = "count";
    scenario.arg = &fixture;
    scenario.threads = 2;
    scenario.thread[0] = {"a", count};
    scenario.thread[1] = {"b", count};
    scenario.finish = finish;
    const bool all_good = ext2dax_explorer_explore(fixture.explorer, &scenario, &result);
    ext2dax_explorer_close(fixture.explorer);
    if (all_good || std::strcmp(result.finding, "the counter is 1") != 0) {
        std::fprintf(stderr, "explore: found \"%s\"\n", result.finding);
        return 1;
    }
    std::printf("explore: found after %llu schedules that %s\n", static_cast<unsigned long long>(result.schedules),
                result.finding);
    return 0;
}
