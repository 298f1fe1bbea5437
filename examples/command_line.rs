//! The command line of the examples that have nothing to be told.

/// Ends the program if it was started with arguments: 0 for `--help`, 2 for others.
pub fn expect_nothing(name: &str) {
    let Some(first) = std::env::args().nth(1) else { return };
    let usage = format!("usage: cargo run --example {name}   (it takes no arguments)");
    if first == "--help" || first == "-h" {
        println!("{usage}");
        std::process::exit(0);
    }
    eprintln!("{name}: unknown argument `{first}`\n{usage}");
    std::process::exit(2);
}
