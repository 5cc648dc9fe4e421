// What differs from one processor to the other, by the same names: instructions that raise signals, how many bytes they
// have, one for a loop that waits, and what a handler is told of the one that was interrupted.
#pragma once

#if defined(__x86_64__)
#define ILLEGAL "ud2"
#define PRIVILEGED "hlt"
#define BREAKPOINT "int3"
#define RELAX "pause"
enum { ILLEGAL_LENGTH = 2, PRIVILEGED_LENGTH = 1 };
#define CONTEXT_PC(context) ((context)->uc_mcontext.gregs[REG_RIP])
#define CONTEXT_TRAP(context) ((context)->uc_mcontext.gregs[REG_TRAPNO])
#elif defined(__aarch64__)
#define ILLEGAL "udf #0"
#define PRIVILEGED "msr daifset, #15"
#define BREAKPOINT "brk #0"
#define RELAX "yield"
enum { ILLEGAL_LENGTH = 4, PRIVILEGED_LENGTH = 4 };
#define CONTEXT_PC(context) ((context)->uc_mcontext.pc)
#define CONTEXT_TRAP(context) 0 // nothing is told
#endif
