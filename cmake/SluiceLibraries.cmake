# Third-party libraries, each as one interface target. All are Debian packages (scripts/packages.txt).
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(OpenSSL 3.0 REQUIRED)
find_package(spdlog REQUIRED)
find_package(fmt REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS json)
find_package(CLI11 REQUIRED)
pkg_check_modules(NGHTTP2 REQUIRED IMPORTED_TARGET libnghttp2)
pkg_check_modules(RE2 REQUIRED IMPORTED_TARGET re2)
pkg_check_modules(SYSTEMD REQUIRED IMPORTED_TARGET libsystemd)
pkg_check_modules(DPDK REQUIRED libdpdk)
pkg_check_modules(JEMALLOC REQUIRED IMPORTED_TARGET jemalloc)

# DPDK's flags carry -march=corei7 and a forced include, and its headers warn in C++20: only packet, port and app
# link this target, PRIVATE.
add_library(sluice_dpdk INTERFACE)
target_include_directories(sluice_dpdk SYSTEM INTERFACE ${DPDK_INCLUDE_DIRS})
target_compile_options(sluice_dpdk INTERFACE ${DPDK_CFLAGS_OTHER} -Wno-old-style-cast -Wno-volatile)
target_link_libraries(sluice_dpdk INTERFACE ${DPDK_LINK_LIBRARIES})
target_compile_definitions(sluice_dpdk INTERFACE ALLOW_EXPERIMENTAL_API)

# Asio is compiled once.
add_library(sluice_asio STATIC ${CMAKE_CURRENT_SOURCE_DIR}/cmake/asio.cpp)
target_include_directories(sluice_asio SYSTEM PUBLIC ${Boost_INCLUDE_DIRS})
target_compile_definitions(sluice_asio PUBLIC BOOST_ASIO_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED)
if(SLUICE_SANITIZE MATCHES "thread")
  # ThreadSanitizer does not know fences. The mutex of Asio's queue orders the same things, and that it sees.
  target_compile_definitions(sluice_asio PUBLIC BOOST_ASIO_DISABLE_FENCED_BLOCK)
endif()
target_link_libraries(sluice_asio PUBLIC Threads::Threads OpenSSL::SSL OpenSSL::Crypto)
