//! `stackward completions`: what a shell needs to complete the command line.

use std::process::ExitCode;

use clap_complete::Shell;

use super::output;

const EXAMPLES: &str = "\
Examples:
  source <(stackward completions bash)
  stackward completions bash > /usr/share/bash-completion/completions/stackward
  stackward completions zsh > \"${fpath[1]}/_stackward\"
  stackward completions fish > ~/.config/fish/completions/stackward.fish";

/// Print the completions of a shell
///
/// The script is made from the commands and flags of this very program: write it anew after an
/// upgrade, or source it when the shell starts.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

impl Completions {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        output::print(&script(self.shell))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn script(shell: Shell) -> String {
    let mut bytes = Vec::new();
    clap_complete::generate(shell, &mut super::command(), "stackward", &mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn every_shell_completes_commands_and_flags_that_are_not_hidden() {
        for shell in Shell::value_variants() {
            let script = script(*shell);
            for part in ["validate", "poll-interval", "all-projects"] {
                assert!(script.contains(part), "{shell}: {part}");
            }
        }
    }
}
