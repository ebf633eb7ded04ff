//! The supervisor as a program of its own, for the tests of this crate. Decides nothing.

fn main() -> std::process::ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    vcycle_local::supervisor::main(&arguments)
}
