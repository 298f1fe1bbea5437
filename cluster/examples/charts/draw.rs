//! A chart as SVG, written by hand: shares of ten instances over time, and the p99 below.
//!
//! Colours follow the reader's scheme, light or dark; the ground is whatever the page has.

use std::fmt::Write as _;
use std::time::Duration;

use crate::support::Answer;
use crate::support::simulation::{Event, HEALTHY, Second, Simulation, p99, seeded, shares};

/// The run: seconds in all, from when to when one is slow, and which.
const LENGTH: usize = 60;
const SLOW: (usize, usize) = (10, 30);
const WHO: usize = 3;
/// Seconds of one point of a line.
const STEP: usize = 2;

/// The places of the panels in the picture.
const LEFT: f64 = 64.0;
const WIDTH: f64 = 640.0;
const SHARES: Panel = Panel { top: 56.0, height: 150.0 };
const TAIL: Panel = Panel { top: 250.0, height: 80.0 };
/// The top of the scale of shares.
const MOST: f64 = 0.25;
/// The ends of the logarithmic scale of latencies, in milliseconds.
const LATENCIES: (f64, f64) = (10.0, 1000.0);

const STYLE: &str = "\
text{font:12px system-ui,sans-serif;fill:#57606a}\
.title{font-size:15px;font-weight:600;fill:#1f2328}\
.grid{stroke:#d0d7de;stroke-width:1}\
.fair{stroke:#57606a;stroke-width:1;stroke-dasharray:4 4}\
.time{fill:#bf8700;fill-opacity:.12}\
.one{fill:none;stroke:#8c959f;stroke-width:1;stroke-opacity:.7}\
.slow{fill:none;stroke:#bc4c00;stroke-width:2.5}\
.tail{fill:none;stroke:#0969da;stroke-width:2}\
.slowtext{fill:#bc4c00}.tailtext{fill:#0969da}\
@media(prefers-color-scheme:dark){\
text{fill:#9198a1}.title{fill:#f0f6fc}.grid{stroke:#3d444d}.fair{stroke:#9198a1}\
.time{fill:#d29922;fill-opacity:.15}.one{stroke:#656c76}.slow{stroke:#f0883e}\
.tail{stroke:#4493f8}.slowtext{fill:#f0883e}.tailtext{fill:#4493f8}}";

struct Panel {
    top: f64,
    height: f64,
}

impl Panel {
    /// The place of a part of its height, from below.
    fn at(&self, part: f64) -> f64 {
        self.top + self.height * (1.0 - part.clamp(0.0, 1.0))
    }
}

/// The picture of the balancer `name`.
pub(crate) fn chart(name: &str) -> String {
    let seconds = simulate(name);
    let mut svg = String::new();
    head(&mut svg, name);
    grid(&mut svg);
    let steps: Vec<&[Second]> = seconds.chunks(STEP).collect();
    let of_each: Vec<Vec<f64>> = steps.iter().map(|step| shares(step)).collect();
    for whom in (0..10).filter(|whom| *whom != WHO) {
        line(&mut svg, "one", of_each.iter().map(|shares| SHARES.at(shares[whom] / MOST)));
    }
    line(&mut svg, "slow", of_each.iter().map(|shares| SHARES.at(shares[WHO] / MOST)));
    line(&mut svg, "tail", steps.iter().map(|step| TAIL.at(logarithm(millis(p99(step))))));
    foot(&mut svg, &seconds);
    svg
}

fn simulate(name: &str) -> Vec<Second> {
    let slow = Answer::Around(Duration::from_millis(200));
    let script = vec![(SLOW.0, WHO, Event::Answers(slow)), (SLOW.1, WHO, Event::Answers(HEALTHY))];
    let simulation = Simulation { instances: 10, rate: 500, seconds: LENGTH, seed: 1, script };
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build();
    runtime.expect("a runtime without sockets").block_on(simulation.run(seeded(name, 1)))
}

fn head(svg: &mut String, name: &str) {
    let height = TAIL.top + TAIL.height + 44.0;
    let width = LEFT + WIDTH + 24.0;
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         width=\"{width}\" height=\"{height}\" role=\"img\" \
         aria-label=\"{name}: one slow instance among ten\"><style>{STYLE}</style>"
    );
    text(svg, LEFT, 20.0, "title", &format!("{name}: one slow instance among ten"));
    text(svg, LEFT, 42.0, "", "share of the calls of each instance, every 2 s");
    text(svg, LEFT, TAIL.top - 10.0, "tailtext", "p99 latency of all calls");
}

/// Scales, and the time in which one is slow.
fn grid(svg: &mut String) {
    let (from, to) = (x(SLOW.0 as f64), x(SLOW.1 as f64));
    for panel in [&SHARES, &TAIL] {
        let (top, width, height) = (panel.top, to - from, panel.height);
        let _ = writeln!(
            svg,
            "<rect class=\"time\" x=\"{from:.1}\" y=\"{top}\" width=\"{width:.1}\" height=\"{height}\"/>"
        );
    }
    for (percent, class) in [(0.0, "grid"), (10.0, "fair"), (20.0, "grid")] {
        level(svg, class, SHARES.at(percent / 100.0 / MOST), &format!("{percent} %"));
    }
    for millis in [10.0, 100.0, 1000.0] {
        level(svg, "grid", TAIL.at(logarithm(millis)), &format!("{millis} ms"));
    }
    for second in (0..=LENGTH).step_by(10) {
        let below = TAIL.top + TAIL.height + 18.0;
        text(svg, x(second as f64) - 8.0, below, "", &format!("{second} s"));
    }
}

fn foot(svg: &mut String, seconds: &[Second]) {
    let ill = &seconds[SLOW.0..SLOW.1];
    let (share, p99) = (100.0 * shares(ill)[WHO], millis(p99(ill)));
    let (at, top) = (x(SLOW.0 as f64) + 6.0, SHARES.top + 16.0);
    text(svg, at, top, "slowtext", "one takes 200 ms, not 10 ms");
    let summary = format!("in that time: {share:.1} % of the calls went to it, p99 {p99:.0} ms");
    text(svg, LEFT, TAIL.top + TAIL.height + 38.0, "", &summary);
    svg.push_str("</svg>\n");
}

fn line(svg: &mut String, class: &str, heights: impl Iterator<Item = f64>) {
    let _ = write!(svg, "<polyline class=\"{class}\" points=\"");
    for (step, height) in heights.enumerate() {
        // A point stands in the middle of its time.
        let _ = write!(svg, "{:.1},{height:.1} ", x((step * STEP) as f64 + STEP as f64 / 2.0));
    }
    svg.push_str("\"/>\n");
}

fn level(svg: &mut String, class: &str, height: f64, label: &str) {
    let right = LEFT + WIDTH;
    let _ = writeln!(
        svg,
        "<line class=\"{class}\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{height:.1}\" y2=\"{height:.1}\"/>\
         <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
        LEFT - 6.0,
        height + 4.0
    );
}

fn text(svg: &mut String, x: f64, y: f64, class: &str, what: &str) {
    let _ = writeln!(svg, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{what}</text>");
}

fn x(second: f64) -> f64 {
    LEFT + WIDTH * second / LENGTH as f64
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The place of a latency on its scale.
fn logarithm(millis: f64) -> f64 {
    let (least, most) = LATENCIES;
    (millis.max(least) / least).log10() / (most / least).log10()
}
