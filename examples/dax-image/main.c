/* SPDX-License-Identifier: MIT */
/* dax-image builds, reports and verifies images. */
#include "dax-image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    struct options options;
    int code = options_parse(&options, argc, argv);

    if (!code) {
        signals_install();
        if (!strcmp(options.command, "build"))
            code = command_build(&options);
        else if (!strcmp(options.command, "verify"))
            code = command_verify(&options);
        else
            code = command_report(&options);
        free(options.excludes);
    }
    code = code < 0 ? 0 : code;
    if (fflush(stdout) || ferror(stdout))
        code = failed(NULL, "standard output cannot be written");
    return code;
}
