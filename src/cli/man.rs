//! `vcycle man`: one manual page with all commands, made from their definitions.

use clap::CommandFactory;

use super::error::CliError;
use super::{Cli, output};

/// Prints the page.
pub(crate) fn run() -> Result<(), CliError> {
    let text = page().map_err(|error| CliError::failed("cannot write the manual page", &error))?;
    output::print(&text)
}

fn page() -> std::io::Result<String> {
    let mut command = Cli::command();
    command.build();
    let mut page = Vec::new();
    let man = clap_mangen::Man::new(command.clone()).manual("vcycle manual");
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    for sub in command.get_subcommands() {
        render_command(sub, "vcycle", &mut page)?;
    }
    Ok(String::from_utf8_lossy(&page).into_owned())
}

/// One command as a section, its own sub-commands after it.
fn render_command(
    command: &clap::Command,
    parent: &str,
    page: &mut Vec<u8>,
) -> std::io::Result<()> {
    if command.is_hide_set() || command.get_name() == "help" {
        return Ok(());
    }
    let name = format!("{parent} {}", command.get_name());
    page.extend_from_slice(format!(".SH \"{}\"\n", name.to_uppercase()).as_bytes());
    let man = clap_mangen::Man::new(command.clone());
    // As sub-sections of the section of the command.
    let mut part = Vec::new();
    man.render_synopsis_section(&mut part)?;
    man.render_description_section(&mut part)?;
    if command.get_arguments().any(|argument| !argument.is_hide_set()) {
        man.render_options_section(&mut part)?;
    }
    page.extend_from_slice(String::from_utf8_lossy(&part).replace(".SH ", ".SS ").as_bytes());
    for sub in command.get_subcommands() {
        render_command(sub, &name, page)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_command_and_no_hidden_one() {
        let page = page().unwrap();
        for heading in ["VCYCLE RUN", "VCYCLE DRAIN", "VCYCLE LIBRARY RENDER", "VCYCLE DEMO"] {
            assert!(page.contains(heading), "{heading}");
        }
        assert!(!page.contains("SUPERVISOR"));
    }
}
