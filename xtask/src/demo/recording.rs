//! A recording of the demonstration: its printed lines as an SVG image of a terminal. `anstyle-svg`
//! draws the text. This module adds a title, a scalable size, and colours for dark and light pages.

use std::{fs, path::Path};

use anstyle::{Color, RgbColor};
use anstyle_svg::Term;
use anyhow::{Context as _, Result, ensure};

const TITLE: &str = "Recorded terminal: cargo xtask demo backs up, verifies, restores and compares";
const TEXT: Color = Color::Rgb(RgbColor(0xE6, 0xED, 0xF3));
const BACKGROUND: Color = Color::Rgb(RgbColor(0x0D, 0x11, 0x17));
/// A border, a readable green, and the colours of a light page.
const STYLE: &str = "\
    .bg { stroke: #30363D; }
    .fg-green { fill: #3FB950; }
    @media (prefers-color-scheme: light) {
      .bg { fill: #F6F8FA; stroke: #D0D7DE; }
      .fg { fill: #1F2328; }
      .fg-green { fill: #1A7F37; }
    }";

/// Refuses an unwritable file before the run.
pub(super) fn check(file: &Path) -> Result<()> {
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    ensure!(
        folder.is_dir(),
        "cannot write {} for --record: {} is not a folder",
        file.display(),
        folder.display()
    );
    ensure!(
        !file.is_dir(),
        "cannot write {} for --record: it is a folder, not a file",
        file.display()
    );
    Ok(())
}

/// Writes the lines, below their command, as an image.
pub(super) fn write(file: &Path, lines: &[String]) -> Result<()> {
    let command = ["$ cargo xtask demo".to_owned()];
    let image = image(TITLE, &[&command, lines].concat())?;
    fs::write(file, image).with_context(|| format!("cannot write {}", file.display()))
}

/// The lines as an image. The same lines give the same image.
fn image(title: &str, lines: &[String]) -> Result<String> {
    let drawn = Term::new()
        .fg_color(TEXT)
        .bg_color(BACKGROUND)
        .render_svg(&lines.join("\n"));
    let (head, body) = drawn
        .split_once('\n')
        .context("the drawn image has one line only")?;
    let (width, height) = (attribute(head, "width")?, attribute(head, "height")?);
    let head = head.trim_end_matches('>');
    let view = format!(
        r#"viewBox="0 0 {} {}" role="img""#,
        width.trim_end_matches("px"),
        height.trim_end_matches("px")
    );
    let body = body
        .trim_end()
        .strip_suffix("</svg>")
        .context("the drawn image has no end")?
        .trim_end();
    Ok(format!(
        "{head} {view}>\n  <title>{}</title>\n{body}\n\n  <style>\n{STYLE}\n  </style>\n</svg>\n",
        escaped(title)
    ))
}

/// A text between two tags.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn attribute<'a>(element: &'a str, name: &str) -> Result<&'a str> {
    let value = element
        .split_once(&format!(r#"{name}=""#))
        .and_then(|(_, rest)| rest.split_once('"'));
    value
        .map(|(value, _)| value)
        .with_context(|| format!("the drawn image has no {name}"))
}

#[cfg(test)]
mod tests {
    use roxmltree::Document;

    use super::*;
    use crate::{
        files,
        terminal::{self, styled},
    };

    fn lines_of(image: &Document<'_>) -> Vec<String> {
        let is_line = |element: &roxmltree::Node<'_, '_>| {
            element.has_tag_name(("http://www.w3.org/2000/svg", "tspan"))
                && element.has_attribute("x")
        };
        let text = |line: roxmltree::Node<'_, '_>| {
            line.descendants()
                .filter(roxmltree::Node::is_text)
                .filter_map(|text| text.text())
                .collect::<String>()
        };
        image
            .descendants()
            .filter(is_line)
            .map(|line| text(line).trim_end_matches('\n').to_owned())
            .collect()
    }

    #[test]
    fn the_image_is_well_formed_and_has_every_line_in_order() {
        let good = styled(terminal::GOOD, "✓");
        let lines = [
            format!("{good} a < b && c > \"d\""),
            String::new(),
            "  'é' ]]> </svg>".to_owned(),
        ];
        let image = image("one & two <3", &lines).unwrap();
        let image = Document::parse(&image).unwrap();
        assert_eq!(
            lines_of(&image),
            ["✓ a < b && c > \"d\"", "", "  'é' ]]> </svg>"]
        );
        let first = image.root_element().first_element_child().unwrap();
        assert_eq!(
            (first.tag_name().name(), first.text()),
            ("title", Some("one & two <3"))
        );
    }

    #[test]
    fn the_image_scales_and_needs_no_script() {
        let text = image(TITLE, &["x".repeat(100)]).unwrap();
        let image = Document::parse(&text).unwrap();
        let attribute = |name| image.root_element().attribute(name).unwrap();
        let size = format!("0 0 {} {}", attribute("width"), attribute("height")).replace("px", "");
        assert_eq!(attribute("viewBox"), size);
        assert!(
            !text.contains("<script") && text.contains("prefers-color-scheme"),
            "{text}"
        );
    }

    #[test]
    fn a_file_that_cannot_be_written_is_refused_before_the_run() {
        let root = files::workspace();
        let refused = |path: &str| check(&root.join(path)).unwrap_err().to_string();
        assert!(refused("no-such-folder/x.svg").contains("no-such-folder is not a folder"));
        assert!(refused("docs").contains("it is a folder, not a file"));
        assert!(
            check(Path::new("new.svg")).is_ok()
                && check(&root.join("docs/images/demo.svg")).is_ok()
        );
    }

    #[test]
    fn the_same_lines_give_the_same_image() {
        let lines = [styled(terminal::LABEL, "a"), "b".to_owned()];
        assert_eq!(image(TITLE, &lines).unwrap(), image(TITLE, &lines).unwrap());
    }

    #[test]
    fn the_readme_shows_a_small_recording_of_a_whole_run() {
        let root = files::workspace();
        let readme = fs::read_to_string(root.join("README.md")).unwrap();
        assert!(
            readme.contains("(docs/images/demo.svg)"),
            "the README does not show the recording"
        );
        let text = fs::read_to_string(root.join("docs/images/demo.svg")).unwrap();
        assert!(
            text.len() < 60_000,
            "the recording has {} bytes",
            text.len()
        );
        let lines = lines_of(&Document::parse(&text).unwrap());
        assert_eq!(lines[0], "$ cargo xtask demo");
        for label in ["Database", "Restored", "Took"] {
            assert!(
                lines
                    .iter()
                    .any(|line| line.trim_start().starts_with(label)),
                "no line {label}: {lines:#?}"
            );
        }
    }
}
