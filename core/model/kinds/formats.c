#include "kinds/formats.h"

#include "model/packages.h"
#include "model/sandbox.h"

#include <string.h>

#define LABEL "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
#define LOWER "abcdefghijklmnopqrstuvwxyz0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define ALNUM LETTERS "0123456789"

static bool is_label(const char *text, size_t n)
{
    return n > 0 && strspn(text, LOWER "-") >= n && text[0] != '-' && text[n - 1] != '-';
}

static bool is_subdomain(const char *text)
{
    for (;; text++) {
        size_t n = strcspn(text, ".");
        if (!is_label(text, n))
            return false;
        text += n;
        if (!*text)
            return true;
    }
}

static bool is_domain(const char *text)
{
    if (strcmp(text, "*") == 0)
        return true;
    return is_subdomain(strncmp(text, "*.", 2) == 0 ? text + 2 : text);
}

static bool is_path(const char *text)
{
    if (text[0] != '/' || !text[1])
        return false;
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7F)
            return false;
    while (*text) {
        size_t n = strcspn(++text, "/");
        if (n == 0 || (n == 1 && text[0] == '.') || (n == 2 && strncmp(text, "..", 2) == 0))
            return false;
        text += n;
    }
    return true;
}

static bool begins_and_has(const char *text, const char *more)
{
    size_t n = strspn(text, ALNUM);
    return n > 0 && strspn(text + n, more) == strlen(text + n);
}

static bool is_image(const char *text)
{
    return begins_and_has(text, ALNUM "._:/@-");
}

static bool is_word(const char *text)
{
    return begins_and_has(text, ALNUM "._+-");
}

static bool is_env(const char *text)
{
    return text[0] && !strchr(text, '=');
}

static bool is_package(const char *text)
{
    return sa_package_is_pip(text) || sa_package_is_npm(text);
}

const struct sa_format sa_format_label = {
    "1-63 of a-z, 0-9 and '-', beginning and ending with a letter or digit", LABEL, sa_name_valid};
const struct sa_format sa_format_subdomain = {
    "a DNS name: labels of a-z, 0-9 and '-', joined by dots", LABEL "(\\." LABEL ")*",
    is_subdomain};
const struct sa_format sa_format_module = {"the name of a module, like \"a.b\"",
                                           "[A-Za-z_][A-Za-z0-9_]*(\\.[A-Za-z_][A-Za-z0-9_]*)*",
                                           sa_module_name_valid};
const struct sa_format sa_format_domain = {
    "a domain such as \"pypi.org\", \"*.example.com\" or \"*\"",
    "(\\*|(\\*\\.)?" LABEL "(\\." LABEL ")*)", is_domain};
const struct sa_format sa_format_path = {
    "an absolute path without \".\", \"..\" and empty parts, such as \"/workspace\"",
    "(/([^./\\x00-\\x1f\\x7f][^/\\x00-\\x1f\\x7f]*|\\.[^./\\x00-\\x1f\\x7f][^/\\x00-\\x1f\\x7f]*|"
    "\\.\\.[^/\\x00-\\x1f\\x7f]+))+",
    is_path};
const struct sa_format sa_format_image = {"an image such as \"python:3.12-slim\"",
                                          "[A-Za-z0-9]+[A-Za-z0-9._:/@-]*", is_image};
const struct sa_format sa_format_word = {
    "a word of letters, digits, '-', '_', '.' and '+', beginning with a letter or digit",
    "[A-Za-z0-9]+[A-Za-z0-9._+-]*", is_word};
const struct sa_format sa_format_env = {"a name without '='", NULL, is_env};
const struct sa_format sa_format_package = {
    "a package such as \"numpy==1.26\" or \"@scope/name@^1.2\"", NULL, is_package};
