//! The chart as SVG, written by hand: useful answers of each second, with the gate and without.
//!
//! Colours follow the reader's scheme, light or dark; the ground is whatever the page has.

use std::fmt::Write as _;

use crate::support::pool::Provided;

/// The run in seconds: half of the capacity, ten times as much, half again.
const PARTS: [(u32, u32); 3] = [(4, 3), (80, 8), (4, 4)];
const LENGTH: f64 = 15.0;

/// The place of the panel in the picture.
const LEFT: f64 = 64.0;
const WIDTH: f64 = 640.0;
const TOP: f64 = 52.0;
const HEIGHT: f64 = 170.0;
/// The top of the scale, in answers a second.
const MOST: f64 = 900.0;

const STYLE: &str = "\
text{font:12px system-ui,sans-serif;fill:#57606a}\
.title{font-size:15px;font-weight:600;fill:#1f2328}\
.grid{stroke:#d0d7de;stroke-width:1}\
.time{fill:#bf8700;fill-opacity:.12}\
.with{fill:none;stroke:#0969da;stroke-width:2.5}\
.without{fill:none;stroke:#bc4c00;stroke-width:2.5}\
.withtext{fill:#0969da}.withouttext{fill:#bc4c00}\
@media(prefers-color-scheme:dark){\
text{fill:#9198a1}.title{fill:#f0f6fc}.grid{stroke:#3d444d}\
.time{fill:#d29922;fill-opacity:.15}.with{stroke:#4493f8}.without{stroke:#f0883e}\
.withtext{fill:#4493f8}.withouttext{fill:#f0883e}}";

/// The picture.
pub(crate) fn chart() -> String {
    let (with, without) = (run(false), run(true));
    let mut svg = String::new();
    head(&mut svg);
    grid(&mut svg);
    for (class, answered) in [("without", &without), ("with", &with)] {
        line(&mut svg, class, answered);
    }
    let settled = |answered: &[u64]| answered[5..11].iter().sum::<u64>() / 6;
    let summary = format!(
        "in its last six seconds: {} answers a second with the gate, {} without",
        settled(&with),
        settled(&without)
    );
    text(&mut svg, LEFT, TOP + HEIGHT + 38.0, "", &summary);
    svg.push_str("</svg>\n");
    svg
}

/// Useful answers of each second.
fn run(open: bool) -> Vec<u64> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build();
    runtime.expect("a runtime without sockets").block_on(async {
        let mut provided = Provided::new(open);
        let mut answered = Vec::new();
        for (tenths, seconds) in PARTS {
            answered.extend(provided.offer(tenths, seconds).await);
        }
        answered
    })
}

fn head(svg: &mut String) {
    let (width, height) = (LEFT + WIDTH + 24.0, TOP + HEIGHT + 48.0);
    let title = "a handler of 8 places, 10 ms each; deadlines of 300 ms";
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         width=\"{width}\" height=\"{height}\" role=\"img\" aria-label=\"{title}\">\
         <style>{STYLE}</style>"
    );
    text(svg, LEFT, 20.0, "title", title);
    text(svg, LEFT, 42.0, "withtext", "useful answers a second with the gate");
    text(svg, LEFT + 250.0, 42.0, "withouttext", "and without");
}

/// Scales, and the time of overload.
fn grid(svg: &mut String) {
    let (from, width) = (x(f64::from(PARTS[0].1)), x(f64::from(PARTS[1].1)) - LEFT);
    let _ = writeln!(
        svg,
        "<rect class=\"time\" x=\"{from:.1}\" y=\"{TOP}\" width=\"{width:.1}\" height=\"{HEIGHT}\"/>"
    );
    text(svg, from + 6.0, TOP + 90.0, "", "8,000 calls a second: ten times what it can do");
    for answers in [0.0, 400.0, 800.0] {
        let (right, y) = (LEFT + WIDTH, y(answers));
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{answers}</text>",
            LEFT - 6.0,
            y + 4.0
        );
    }
    for second in [0.0, 5.0, 10.0, 15.0] {
        text(svg, x(second) - 8.0, TOP + HEIGHT + 18.0, "", &format!("{second} s"));
    }
}

/// A point stands in the middle of its second.
fn line(svg: &mut String, class: &str, answered: &[u64]) {
    let _ = write!(svg, "<polyline class=\"{class}\" points=\"");
    let mut middle = 0.5;
    for answers in answered {
        let answers = u32::try_from(*answers).unwrap_or(u32::MAX);
        let _ = write!(svg, "{:.1},{:.1} ", x(middle), y(f64::from(answers)));
        middle += 1.0;
    }
    svg.push_str("\"/>\n");
}

fn text(svg: &mut String, x: f64, y: f64, class: &str, what: &str) {
    let _ = writeln!(svg, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{what}</text>");
}

fn x(second: f64) -> f64 {
    LEFT + WIDTH * second / LENGTH
}

fn y(answers: f64) -> f64 {
    TOP + HEIGHT * (1.0 - (answers / MOST).min(1.0))
}
