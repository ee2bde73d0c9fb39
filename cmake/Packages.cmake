# The system packages, each linked only by the folders that name it.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(LibArchive REQUIRED)
find_package(ZLIB REQUIRED)
pkg_check_modules(UV REQUIRED IMPORTED_TARGET libuv)
pkg_check_modules(CJSON REQUIRED IMPORTED_TARGET libcjson)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(SECCOMP REQUIRED IMPORTED_TARGET libseccomp)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl)
pkg_check_modules(ARCHIVE REQUIRED IMPORTED_TARGET libarchive)
pkg_check_modules(EDIT REQUIRED IMPORTED_TARGET libedit)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
# Its event loop plugin for libuv (libwebsockets-evlib-uv) is loaded at run time.
pkg_check_modules(LWS REQUIRED IMPORTED_TARGET libwebsockets)
pkg_check_modules(LLHTTP IMPORTED_TARGET libllhttp)

# Debian 12 ships llhttp as C sources (node-llhttp): build them; never copy them in.
if(LLHTTP_FOUND)
  add_library(llhttp ALIAS PkgConfig::LLHTTP)
else()
  find_path(LLHTTP_SOURCE_DIR llhttp.c PATHS /usr/share/llhttp NO_DEFAULT_PATH REQUIRED)
  find_path(LLHTTP_INCLUDE_DIR llhttp.h PATHS /usr/share/include/llhttp NO_DEFAULT_PATH REQUIRED)
  add_library(llhttp STATIC ${LLHTTP_SOURCE_DIR}/api.c ${LLHTTP_SOURCE_DIR}/http.c
              ${LLHTTP_SOURCE_DIR}/llhttp.c)
  target_include_directories(llhttp SYSTEM PUBLIC ${LLHTTP_INCLUDE_DIR})
  target_compile_options(llhttp PRIVATE -O2 -w)
  # The sources hold a strict and a loose parser; only the strict one will do.
  target_compile_definitions(llhttp PUBLIC LLHTTP_STRICT_MODE=1)
endif()

# For the static runtime.
find_library(CRYPTO_ARCHIVE libcrypto.a REQUIRED)
add_library(crypto_static INTERFACE)
target_link_libraries(crypto_static INTERFACE ${CRYPTO_ARCHIVE})

# What policy-worker is made of, as archives: it is linked statically.
pkg_check_modules(LUAJIT REQUIRED luajit)
find_library(LUAJIT_ARCHIVE libluajit-5.1.a REQUIRED)
find_library(SECCOMP_ARCHIVE libseccomp.a REQUIRED)
add_library(luajit INTERFACE)
target_include_directories(luajit SYSTEM INTERFACE ${LUAJIT_INCLUDE_DIRS})
target_link_libraries(luajit INTERFACE ${LUAJIT_ARCHIVE} m ${CMAKE_DL_LIBS})
add_library(seccomp_static INTERFACE)
target_link_libraries(seccomp_static INTERFACE ${SECCOMP_ARCHIVE})
