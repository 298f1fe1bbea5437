//! `dubhe completions`: what a shell needs to complete the command.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::failure::CommandResult;
use crate::{Cli, output};

/// Print a completion script for a shell.
#[derive(Debug, Args)]
pub(crate) struct CompletionsCommand {
    /// The shell
    shell: Shell,
}

impl CompletionsCommand {
    pub(crate) fn run(self) -> CommandResult {
        let mut script = Vec::new();
        // Into memory first: the generator panics where it cannot write.
        clap_complete::generate(self.shell, &mut Cli::command(), "dubhe", &mut script);
        output::raw(String::from_utf8_lossy(&script))
    }
}
