//! The alarms for a local AWS. It knows neither composite alarms nor expressions of metrics. The
//! composite alarm is left out, and an expression is replaced by its first metric. The end-to-end
//! tests create the composite alarm by a call.

use anyhow::{Context as _, Result};

const COMPOSITE: &str = "    Type: AWS::CloudWatch::CompositeAlarm\n";
const EXPRESSION: &str = "      Metrics:\n";

/// The template with alarms that a local AWS can deploy.
pub(crate) fn for_local_aws(template: &str) -> Result<String> {
    let blocks = template
        .split("\n\n")
        .filter(|block| !block.contains(COMPOSITE));
    let blocks: Result<Vec<String>> = blocks.map(with_one_metric).collect();
    Ok(blocks?.join("\n\n"))
}

fn with_one_metric(block: &str) -> Result<String> {
    let Some((before, expression)) = block.split_once(EXPRESSION) else {
        return Ok(block.to_owned());
    };
    let is_inside = |line: &&str| line.starts_with("        ");
    let inside: Vec<&str> = expression.lines().take_while(is_inside).collect();
    let after: Vec<&str> = expression.lines().skip_while(is_inside).collect();
    let value = |name: &str| {
        let found = inside
            .iter()
            .find_map(|line| line.trim().strip_prefix(name));
        found.with_context(|| format!("template.yaml: an alarm has no {name} in:\n{block}"))
    };
    let metric = value("Metric: { ")?.trim_end_matches(" }");
    // Namespace, name, dimensions. Only the dimensions contain the separator.
    let mut properties: Vec<String> = metric.splitn(3, ", ").map(str::to_owned).collect();
    properties.push(format!("Period: {}", value("Period: ")?));
    properties.push(format!("Statistic: {}", value("Stat: ")?));
    let properties = properties
        .iter()
        .map(|property| format!("      {property}"));
    let after = after.into_iter().map(str::to_owned);
    let lines: Vec<String> = properties.chain(after).collect();
    Ok(format!("{before}{}", lines.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files;

    #[test]
    fn an_expression_becomes_its_first_metric() {
        let template = std::fs::read_to_string(files::workspace().join("template.yaml")).unwrap();
        let local = for_local_aws(&template).unwrap();
        let metric = "      Namespace: AWS/SQS\n      MetricName: ApproximateNumberOfMessagesVisible\n      \
                      Dimensions: [{ Name: QueueName, Value: !GetAtt ContentDeadLetters.QueueName }]\n      Period: \
                      300\n      Statistic: Maximum\n      EvaluationPeriods: 12\n";
        assert!(local.contains(metric));
        for unknown in [COMPOSITE, EXPRESSION, "MetricStat"] {
            assert!(
                template.contains(unknown) && !local.contains(unknown),
                "{unknown}"
            );
        }
        let alarms = |text: &str| text.matches("    Type: AWS::CloudWatch::Alarm\n").count();
        assert_eq!(alarms(&local), alarms(&template));
        assert!(local.contains("\nOutputs:\n  ApiUrl:"));
    }
}
