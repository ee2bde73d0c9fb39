# Helpers that every folder's CMakeLists.txt uses.
#
# sa_library(NAME SOURCES ... DEPS ...)   a static library sa_NAME for the current folder; HEADERS
#                                         says the folder's name where it is another
# sa_program(NAME SOURCES ... DEPS ...)   an executable in bin/
# sa_test(NAME SOURCES ... DEPS ...)      a cmocka program, registered with CTest
#
# A folder's headers are reached as "NAME/file.h". They are visible only to targets that
# list the folder in DEPS: each library exports a directory of its own that holds a single
# symbolic link to its folder.

set(SA_WARNINGS -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes
    -Wformat=2 -Wvla -Werror)
set(SA_HARDENING -fstack-protector-strong -fno-common)
if(CMAKE_BUILD_TYPE MATCHES "Rel" AND NOT SA_SANITIZE)
  list(APPEND SA_HARDENING -D_FORTIFY_SOURCE=2)
endif()

function(sa_options target)
  target_compile_options(${target} PRIVATE ${SA_WARNINGS} ${SA_HARDENING})
  target_compile_definitions(${target} PRIVATE _GNU_SOURCE SA_VERSION="${PROJECT_VERSION}"
                             $<$<BOOL:${SA_FAILPOINTS}>:SA_FAILPOINTS>)
endfunction()

# The static runtime cannot be instrumented, so it gets its own, plain copies of what it links.
function(sa_sanitize target)
  if(SA_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${SA_SANITIZE} -fno-omit-frame-pointer
                           -fno-sanitize-recover=all)
    target_link_options(${target} PUBLIC -fsanitize=${SA_SANITIZE})
  endif()
  if(SA_FUZZ)
    target_compile_options(${target} PRIVATE -fsanitize=fuzzer-no-link)
  endif()
endfunction()

function(sa_export_headers target name)
  set(dir ${CMAKE_BINARY_DIR}/include/${name})
  file(MAKE_DIRECTORY ${dir})
  file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR} ${dir}/${name} SYMBOLIC)
  target_include_directories(${target} PUBLIC ${dir})
endfunction()

function(sa_library name)
  cmake_parse_arguments(A "PLAIN" "HEADERS" "SOURCES;DEPS" ${ARGN})
  if(NOT A_HEADERS)
    set(A_HEADERS ${name})
  endif()
  add_library(sa_${name} STATIC ${A_SOURCES})
  sa_options(sa_${name})
  sa_sanitize(sa_${name})
  sa_export_headers(sa_${name} ${A_HEADERS})
  target_link_libraries(sa_${name} PUBLIC ${A_DEPS})
  if(A_PLAIN) # also an uninstrumented copy, for the static runtime
    add_library(sa_${name}_plain STATIC ${A_SOURCES})
    sa_options(sa_${name}_plain)
    sa_export_headers(sa_${name}_plain ${A_HEADERS})
    list(TRANSFORM A_DEPS APPEND _plain REGEX "^sa_")
    target_link_libraries(sa_${name}_plain PUBLIC ${A_DEPS})
  endif()
endfunction()

function(sa_program name)
  cmake_parse_arguments(A "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  sa_options(${name})
  sa_sanitize(${name})
  target_link_libraries(${name} PRIVATE ${A_DEPS})
endfunction()

function(sa_test name)
  cmake_parse_arguments(A "" "" "SOURCES;DEPS" ${ARGN})
  sa_program(${name} SOURCES ${A_SOURCES} DEPS ${A_DEPS} PkgConfig::CMOCKA)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT 900)
endfunction()
