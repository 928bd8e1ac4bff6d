//! The pages in `docs/reference/` are made from the code.

mod causes;
mod commands;
mod drift;
mod exit_codes;
mod gate_file;
mod markdown;
mod trace;
