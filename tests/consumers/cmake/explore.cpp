/* SPDX-License-Identifier: MIT */
/* A bench in C++: of every schedule of two threads that count without a lock, the explorer finds one that is wrong. */
#include <cstdio>
#include <cstring>

#include <ext2dax/testkit/explorer.h>

namespace
{

struct Stage {
    ext2dax_explorer *explorer;
    int counter;
};

void count(void *arg)
{
    auto *stage = static_cast<Stage *>(arg);

    ext2dax_explorer_point(stage->explorer, EXT2DAX_EXPLORER_LOAD, &stage->counter);
    const int before = stage->counter;
    ext2dax_explorer_point(stage->explorer, EXT2DAX_EXPLORER_STORE, &stage->counter);
    stage->counter = before + 1;
}

void finish(void *arg)
{
    auto *stage = static_cast<Stage *>(arg);

    if (stage->counter != 2)
        ext2dax_explorer_fail(stage->explorer, "the counter is %d", stage->counter);
}

} // namespace

int main()
{
    static Stage stage;
    ext2dax_scenario scenario = {};
    ext2dax_explorer_result result = {};

    stage.explorer = ext2dax_explorer_open(nullptr);
    if (stage.explorer == nullptr ||
        ext2dax_explorer_remember(stage.explorer, &stage.counter, sizeof stage.counter) != 0)
        return 1;
    scenario.name = "count";
    scenario.arg = &stage;
    scenario.threads = 2;
    scenario.thread[0] = {"a", count};
    scenario.thread[1] = {"b", count};
    scenario.finish = finish;
    const bool all_good = ext2dax_explorer_explore(stage.explorer, &scenario, &result);
    ext2dax_explorer_close(stage.explorer);
    if (all_good || std::strcmp(result.finding, "the counter is 1") != 0) {
        std::fprintf(stderr, "explore: found \"%s\"\n", result.finding);
        return 1;
    }
    std::printf("explore: found after %llu schedules that %s\n", static_cast<unsigned long long>(result.schedules),
                result.finding);
    return 0;
}
