# add_fuzz_target: one libFuzzer target with a kept corpus.
#
#   add_fuzz_target(NAME SOURCES … DEPS … LIBS … [BEGINNINGS n])
#
# With the fuzz preset (clang) it is a fuzzer, built by the target `fuzzers` and run by `./dev fuzz SECONDS`. In every other
# build it is a regression runner, which ctest calls with tests/fuzz/corpus/NAME/: each kept input, and each beginning of it,
# once more (at most BEGINNINGS of them; 64 unless said). tests/fuzz/dictionaries/NAME.dict is used when it is there.
if(TILLSTREAM_FUZZ)
  add_custom_target(fuzzers)
else()
  add_library(fuzz_replay STATIC ${CMAKE_CURRENT_LIST_DIR}/replay.cpp)
endif()
set(TILLSTREAM_CORPUS ${CMAKE_CURRENT_LIST_DIR}/corpus)

function(add_fuzz_target name)
  cmake_parse_arguments(ARG "" "BEGINNINGS" "SOURCES;DEPS;LIBS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} ${ARG_LIBS})
  if(TILLSTREAM_FUZZ)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    add_dependencies(fuzzers ${name})
  else()
    target_link_libraries(${name} PRIVATE fuzz_replay)
    if(NOT DEFINED ARG_BEGINNINGS)
      set(ARG_BEGINNINGS 64)
    endif()
    add_test(NAME ${name} COMMAND ${name} --beginnings=${ARG_BEGINNINGS} ${TILLSTREAM_CORPUS}/${name})
    set_tests_properties(${name} PROPERTIES TIMEOUT 300 LABELS fuzz)
  endif()
endfunction()
