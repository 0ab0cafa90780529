//! `stackward man`: the manual pages, made from the command line itself.

#![expect(clippy::disallowed_methods, reason = "the pages are files")]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap_mangen::Man as Page;

use super::output;

const EXAMPLES: &str = "\
Examples:
  stackward man | man -l -
  stackward man --out /usr/local/share/man/man1 && man stackward-run";

/// Print the manual page, or write one for each command
///
/// Packages bring the pages along; this is for an installation from an archive or from source.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Man {
    /// Write stackward.1 and a page for each command into this directory
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Man {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let Some(directory) = &self.out else {
            let (_, first) = pages()?.swap_remove(0);
            output::print(&first)?;
            return Ok(ExitCode::SUCCESS);
        };
        std::fs::create_dir_all(directory)
            .with_context(|| format!("cannot make the directory {}", directory.display()))?;
        let pages = pages()?;
        for (name, text) in &pages {
            let path = directory.join(name);
            std::fs::write(&path, text)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        let (count, shown) = (pages.len(), directory.display());
        output::print(&format!("{count} manual pages in {shown}.\n"))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// File name and text of each page, that of the program itself first.
fn pages() -> anyhow::Result<Vec<(String, String)>> {
    let mut program = super::command().disable_help_subcommand(true);
    program.build();
    let mut pages = vec![page(program.clone())?];
    for command in program.get_subcommands().filter(|it| !it.is_hide_set()) {
        pages.push(page(command.clone())?);
    }
    Ok(pages)
}

fn page(command: clap::Command) -> anyhow::Result<(String, String)> {
    // The date of a build is in no page, so that the same source gives the same page.
    let page = Page::new(command).date("").manual("stackward");
    let mut text = Vec::new();
    page.render(&mut text).context("cannot write a page")?;
    let text = String::from_utf8(text).context("a page is no text")?;
    Ok((page.get_filename(), text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_page_for_the_program_and_for_each_command_that_is_not_hidden() {
        let pages = pages().unwrap();
        let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names[0], "stackward.1");
        assert!(names.contains(&"stackward-run.1"), "{names:?}");
        assert!(!names.contains(&"stackward-docs.1"), "{names:?}");
        for (name, text) in &pages {
            assert!(text.contains(".SH NAME"), "{name}");
            assert!(text.contains("xample"), "{name} has no example");
        }
        assert!(pages[0].1.contains("Exit status"));
    }
}
