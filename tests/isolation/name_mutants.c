/* SPDX-License-Identifier: MIT */
/* The scenarios of the mutants of names, with the operations and the tree of name_operations.h. */
#include "mutant_scenarios.h"
#include "name_operations.h"

#define SCENARIO(identifier, one, two)                                                                                 \
    static void identifier##_one(void)                                                                                 \
    {                                                                                                                  \
        name_result[0] = name_operation(one)->run();                                                                   \
    }                                                                                                                  \
    static void identifier##_two(void)                                                                                 \
    {                                                                                                                  \
        name_result[1] = name_operation(two)->run();                                                                   \
    }                                                                                                                  \
    static const struct scenario identifier = {#identifier, start_tree, identifier##_one, identifier##_two, check_tree}

SCENARIO(create__create, "create b/n", "mkdir b/n");
SCENARIO(link__unlink, "link g to b/n", "unlink a/g");
SCENARIO(unlink__unlink, "unlink a/g", "unlink b/h");
SCENARIO(rmdir__create, "rmdir a/sub", "create sub/n");
SCENARIO(rename__create, "rename a/x to b/n", "create b/n");
SCENARIO(rename__unlink, "rename a/x over a/g", "unlink b/h");
SCENARIO(rename__rename, "rename a to b/n", "rename b to a/n");
SCENARIO(setxattr__removexattr, "setxattr x, longer", "removexattr x");
SCENARIO(unlink__look, "unlink a/x", "look for the nameless");
SCENARIO(rename_over__create, "rename a/x over b/y", "create a/n");
SCENARIO(create__lookup, "create b/n", "lookup b/n");
SCENARIO(create__freeze, "create b/n", "freeze");
SCENARIO(rename__freeze, "rename a/x to b/n", "freeze");

static void reader(void)
{
    name_result[0] = read_attribute();
}
static void reuser(void)
{
    name_result[1] = remove_attribute_and_reuse();
}
static const struct scenario getxattr__reuse = {"getxattr__reuse", start_tree, reader, reuser, check_tree};
static void in_d(void)
{
    name_result[0] = rename_from_d();
}
static void above_d(void)
{
    name_result[1] = remove_chain();
}
static const struct scenario rename__remove_chain = {"rename__remove_chain", start_chain, in_d, above_d, check_tree};

const struct mutant_case name_mutant_cases[] = {
    {"IO_SKIPPED_SETATTR", &setxattr__removexattr, false, false},
    {"IO_SKIPPED_NAMES", &create__create, false, false},
    {"IO_SKIPPED_LINK", &link__unlink, false, false},
    {"IO_SKIPPED_UNLINK", &unlink__unlink, false, false},
    {"IO_SKIPPED_RMDIR", &rmdir__create, false, false},
    {"IO_SKIPPED_RENAME", &rename__create, false, false},
    {"IO_SKIPPED_RENAME_SECOND", &rename__create, false, false},
    {"IO_SKIPPED_RENAME_INODES", &rename__unlink, false, false},
    {"IO_SKIPPED_GETXATTR", &getxattr__reuse, false, false},
    {"RENAME_LOCK_SKIPPED", &rename__rename, false, false},
    {"ANCESTRY_SKIPPED", &rename__rename, false, false},
    {"ANCESTOR_REPORTED", &rename__remove_chain, false, false},
    {"NAMELESS_LATE", &unlink__look, false, false},
    {"NAMELESS_SKIPPED", &rename_over__create, false, false},
    {"NAMED_SKIPPED", &create__lookup, false, false},
    {"FREEZE_WRITE_SKIPPED_NAMES", &create__freeze, false, false},
    {"FREEZE_WRITE_SKIPPED_NAMES", &rename__freeze, false, false},
    {NULL, NULL, false, false},
};
