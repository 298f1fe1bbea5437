//! What holds of the health of an endpoint: its rules on a clock of the test's own, what endpoints of
//! a directory share, and what threads must not break.

mod ejector;
mod rules;
mod threads;
