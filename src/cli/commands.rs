//! The macro that declares subcommands.

/// Declares subcommands: each row is a name and its arguments, whose `run` executes the command and whose first line
/// of documentation is the command's line of help. `with` passes a value to `run`.
macro_rules! commands {
    ($(#[$doc:meta])* $name:ident { $($(#[$cfg:meta])* $command:ident($args:ty) $(with $extra:expr)?,)* }) => {
        $(#[$doc])*
        #[derive(Debug, clap::Subcommand)]
        pub enum $name { $($(#[$cfg])* $command($args),)* }

        impl $name {
            /// Executes the command.
            pub fn run(&self) -> anyhow::Result<()> {
                match self { $($(#[$cfg])* $name::$command(args) => args.run($($extra)?),)* }
            }
        }
    };
}
pub(super) use commands;
