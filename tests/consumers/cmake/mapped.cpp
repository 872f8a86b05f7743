/* SPDX-License-Identifier: MIT */
/* A mapping of a file of an image: real page faults of this process, resolved by the library. */
#include <cstdio>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include <ext2dax/ext2dax.h>
#include <ext2dax/hosted/host.h>
#include <ext2dax/hosted/lock.h>
#include <ext2dax/hosted/memory.h>
#include <ext2dax/hosted/process.h>

namespace
{

constexpr std::uint64_t page = 4096;

void good(int error, const char *what)
{
    if (error != 0)
        throw std::runtime_error(std::string(what) + ": " + ext2dax_strerror(error));
}

void must(bool so, const char *what)
{
    if (!so)
        throw std::runtime_error(what);
}

struct Put {
    void operator()(ext2dax_inode *inode) const
    {
        ext2dax_inode_put(inode);
    }
};
using Inode = std::unique_ptr<ext2dax_inode, Put>;

void play(struct ext2dax_mount *mount, ext2dax_process *process)
{
    ext2dax_inode *at = nullptr;
    void *address = nullptr;
    char back[32] = {};

    good(ext2dax_lookup_path(mount, "/", 1, 0, &at), "lookup");
    Inode root(at);
    good(ext2dax_create(root.get(), "file", 4, 0644, 0, 0, &at), "create");
    Inode file(at);
    good(ext2dax_truncate(file.get(), 4 * page), "truncate up");
    good(ext2dax_process_map(process, file.get(), 0, 4 * page, EXT2DAX_MAP_WRITE, &address), "a mapping");

    constexpr std::string_view text = "stored through a mapping";
    char *mapping = static_cast<char *>(address);
    must(mapping[2 * page] == 0, "a hole reads as zeroes");
    std::memcpy(mapping + page, text.data(), text.size());
    must(ext2dax_read(file.get(), page, back, text.size()) == static_cast<std::int64_t>(text.size()), "read");
    must(text == std::string_view(back, text.size()), "what was stored is in the file");
    must(ext2dax_write(file.get(), 2 * page, "written", 7) == 7, "write");
    must(std::memcmp(mapping + 2 * page, "written", 7) == 0, "written bytes show in the mapping");
    good(ext2dax_truncate(file.get(), page), "truncate");
    good(ext2dax_truncate(file.get(), 4 * page), "truncate up again");
    must(mapping[page] == 0, "the bytes past the new end are gone");

    ext2dax_process_counters counters = {};
    counters.size = sizeof counters;
    ext2dax_process_count(process, &counters);
    must(counters.traps >= 3, "the faults were this library's");
    good(ext2dax_process_unmap(process, address), "unmap");
}

} // namespace

int main()
try {
    ext2dax_plugs plugs = {};
    ext2dax_process_options options = {};
    ext2dax_process *process = nullptr;
    struct ext2dax_mount *mount = nullptr; // `struct`: there is a function of that name, as with stat(2)

    plugs.locks = ext2dax_locks_default();
    plugs.host = ext2dax_host_default();
    options.size = sizeof options;
    good(ext2dax_memory_open_anonymous("mapped", 16 << 20, &plugs.memory), "memory");
    good(ext2dax_format(&plugs.memory, nullptr, &plugs.host), "format");
    good(ext2dax_process_open(&plugs.memory, plugs.locks, &options, &process), "address space");
    plugs.address_space = ext2dax_process_address_space(process);
    good(ext2dax_mount(&plugs, nullptr, &mount), "mount");
    play(mount, process);
    good(ext2dax_unmount(mount), "unmount");
    good(ext2dax_process_close(process), "close");
    ext2dax_memory_close_file(&plugs.memory);
    std::puts("mapped: a file was accessed in place");
    return 0;
} catch (const std::exception &wrong) {
    std::fprintf(stderr, "mapped: %s\n", wrong.what());
    return 1;
}
