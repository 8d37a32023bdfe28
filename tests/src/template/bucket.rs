//! The bucket outlives its stack, and a failed creation leaves none.

use super::Template;

#[tokio::test]
async fn the_bucket_and_its_policy_stay_after_the_stack_but_not_after_a_failed_creation() {
    let template = Template::deployed().await;
    let resources = template.section("Resources");
    for name in ["BackupBucket"] {
        let resource = &resources[name];
        assert_eq!(resource["DeletionPolicy"], "RetainExceptOnCreate", "{name}");
        assert_eq!(resource["UpdateReplacePolicy"], "Retain", "{name}");
    }
}
