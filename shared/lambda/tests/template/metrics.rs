//! The metrics that the template may read: those of the functions, and those of AWS.

use holdfast_lambda::Metric;

use crate::parsed::resources;

/// Metrics of AWS, with their one dimension and the type of resource that it names.
///
/// <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html>,
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html>,
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-metrics.html>.
const OF_AWS: [(&str, &[&str], &str, &str); 3] = [
    (
        "AWS/Lambda",
        &["Errors", "Throttles", "Duration"],
        "FunctionName",
        "AWS::Serverless::Function",
    ),
    (
        "AWS/SQS",
        &[
            "ApproximateAgeOfOldestMessage",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesVisible",
            "NumberOfMessagesSent",
        ],
        "QueueName",
        "AWS::SQS::Queue",
    ),
    (
        "AWS/ApiGateway",
        &["Count", "Latency", "4xx", "5xx"],
        "ApiId",
        "AWS::ApiGatewayV2::Api",
    ),
];

/// Emitted for content backups alone.
const OF_CONTENT: [Metric; 5] = [
    Metric::BackupPartial,
    Metric::ItemsFailed,
    Metric::ItemsUndelivered,
    Metric::ItemsResent,
    Metric::ObjectsCollected,
];

/// Emitted for database backups alone.
const OF_DATABASE: [Metric; 7] = [
    Metric::SourceLagSeconds,
    Metric::DumpEngineFallback,
    Metric::LeasesFreed,
    Metric::UploadsAborted,
    Metric::OrphansRemoved,
    Metric::HoursSinceDrill,
    Metric::DrillHoursOverdue,
];

/// Asserts that something emits this metric with this dimension. `value` is a name of the template,
/// with or without an attribute.
pub(crate) fn assert_exists(reader: &str, namespace: &str, metric: &str, dimension: [&str; 2]) {
    let [name, value] = dimension;
    let what = format!("{reader}: {namespace} {metric} {name}={value}");
    if namespace == "Holdfast/${AWS::StackName}" {
        let emitted = Metric::ALL.iter().find(|emitted| emitted.name() == metric);
        let emitted = emitted.unwrap_or_else(|| panic!("no function emits {what}"));
        assert_eq!(name, "type", "{what}");
        let (content, database) = (OF_CONTENT.contains(emitted), OF_DATABASE.contains(emitted));
        let is_right = match value {
            "database" => !content,
            "content" => !database,
            _ => false,
        };
        assert!(is_right, "{what}");
        return;
    }
    let of_aws = OF_AWS.iter().find(|(known, ..)| *known == namespace);
    let (_, metrics, known, kind) = of_aws.unwrap_or_else(|| panic!("no such namespace: {what}"));
    assert!(metrics.contains(&metric), "AWS has no metric {what}");
    assert_eq!(name, *known, "{what}");
    let (resource, attribute) = value.split_once('.').unwrap_or((value, ""));
    assert_eq!(resources()[resource]["Type"], *kind, "{what}");
    assert_eq!(attribute == "QueueName", name == "QueueName", "{what}");
}
