# cuda.cmake - finds nvcc and chooses what chips to compile for; sets ES_HAS_CUDA.
#
# What a build with the GPU engine needs: nvcc 12.2 or later with its runtime and cuBLAS, a host
# compiler that it accepts, cmake, pkg-config and libjansson-dev. libsndfile-dev and libspeexdsp-dev
# are found where they are (audio/CMakeLists.txt says what lacks without them). Packages that lie in
# a folder of their own are found with PKG_CONFIG_PATH=DIR/lib/.../pkgconfig (with
# PKG_CONFIG_SYSROOT_DIR=DIR for .debs that were only unpacked) and LD_LIBRARY_PATH at run time.
#
# Development builds hold machine code for the chips of the Jetson and of this project's servers,
# and PTX for every other GPU from Ampere on, which the driver compiles at the first start.
# -DES_RELEASE=ON leaves the PTX out: a board must not compile at boot, and a chip that is not
# listed says so instead.
set(ES_CUDA AUTO CACHE STRING "The GPU engine: AUTO (where nvcc is found), ON or OFF")
set_property(CACHE ES_CUDA PROPERTY STRINGS AUTO ON OFF)
option(ES_RELEASE "For a release: machine code alone, no PTX" OFF)
set(ES_CUDA_CHIPS "87;90;110" CACHE STRING
    "Compute capabilities to compile for; those that nvcc does not know are left out")

option(ES_PTXAS_REPORT "Keep what ptxas says of each kernel, and test it (needs python3)" OFF)

set(ES_HAS_CUDA OFF)
if(NOT ES_CUDA STREQUAL OFF)
    if(NOT CMAKE_CUDA_COMPILER)
        find_program(ES_NVCC nvcc HINTS ENV CUDACXX ENV CUDA_PATH /usr/local/cuda
            PATH_SUFFIXES bin)
        if(ES_NVCC)
            set(CMAKE_CUDA_COMPILER ${ES_NVCC})
        endif()
    endif()
    if(CMAKE_CUDA_COMPILER)
        set(ES_HAS_CUDA ON)
    elseif(ES_CUDA STREQUAL ON)
        message(FATAL_ERROR "ES_CUDA is ON and nvcc is not found: set CMAKE_CUDA_COMPILER to it")
    else()
        message(STATUS "nvcc not found: the CPU engine alone")
    endif()
endif()

if(ES_HAS_CUDA)
    execute_process(COMMAND ${CMAKE_CUDA_COMPILER} --list-gpu-code
        OUTPUT_VARIABLE es_known_chips COMMAND_ERROR_IS_FATAL ANY)
    string(REGEX MATCHALL "sm_[0-9]+" es_known_chips "${es_known_chips}")
    set(CMAKE_CUDA_ARCHITECTURES)
    foreach(chip ${ES_CUDA_CHIPS})
        if("sm_${chip}" IN_LIST es_known_chips)
            list(APPEND CMAKE_CUDA_ARCHITECTURES ${chip}-real)
        else()
            message(STATUS "nvcc does not know sm_${chip}: left out")
        endif()
    endforeach()
    if(NOT ES_RELEASE)
        list(APPEND CMAKE_CUDA_ARCHITECTURES 80-virtual)
    endif()
    message(STATUS "CUDA chips: ${CMAKE_CUDA_ARCHITECTURES}")
    enable_language(CUDA)
    set(CMAKE_CUDA_STANDARD 17)
    set(CMAKE_CUDA_STANDARD_REQUIRED ON)
    set(CMAKE_CUDA_EXTENSIONS OFF)
    find_package(CUDAToolkit 12.2 REQUIRED)

    # What every .cu is compiled with, and nothing else: es_options speaks to C alone. What an
    # initializer leaves out is zero, as in C; only C++ warns of it.
    add_library(es_cuda_options INTERFACE)
    target_compile_options(es_cuda_options INTERFACE
        $<$<COMPILE_LANGUAGE:CUDA>:-lineinfo;-Xcompiler=-ffp-contract=off;
        -Xcompiler=-Wall,-Wextra,-Wno-missing-field-initializers>
        $<$<AND:$<COMPILE_LANGUAGE:CUDA>,$<BOOL:${ES_WERROR}>>:--Werror=all-warnings>)
endif()
