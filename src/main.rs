//! The program `vcycle`: reads the command line, carries the command out, and ends with its exit
//! code. Everything else is in the library, so that tests reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    vcycle::cli::main()
}
