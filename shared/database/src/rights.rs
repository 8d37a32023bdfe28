//! Whether a user has the privileges for a restore into a new database. Some servers do not list
//! the privileges of a user, so the operations are tried.

use bson::{Document, doc};

use crate::{Connection, DatabaseError, classify};

const COLLECTION: &str = "probe";

impl Connection {
    /// Does everything in a scratch database that a restore into a new database needs privileges
    /// for. The caller drops the database. A server that refuses a command for another reason
    /// may still take the backup.
    ///
    /// # Errors
    /// `Denied` with the missing privilege, or that the server went away or has no room.
    pub async fn try_restoring(&self, database: &str) -> Result<(), DatabaseError> {
        let scratch = self.client().database(database);
        for command in commands() {
            let Err(error) = scratch.run_command(command).await else {
                continue;
            };
            let error = classify(&error);
            if matches!(error, DatabaseError::Denied(_)) || error.is_of_the_server() {
                return Err(error.during(format!("trying a restore into {database}")));
            }
        }
        Ok(())
    }
}

fn commands() -> [Document; 8] {
    let index = doc! { "key": { "value": 1 }, "name": "value_1" };
    [
        doc! { "create": COLLECTION },
        doc! { "insert": COLLECTION, "bypassDocumentValidation": true, "documents": [{ "_id": 1, "value": 1 }] },
        doc! { "createIndexes": COLLECTION, "indexes": [index] },
        doc! { "create": format!("{COLLECTION}_capped"), "capped": true, "size": 4096 },
        doc! { "create": format!("{COLLECTION}_view"), "viewOn": COLLECTION, "pipeline": [] },
        doc! { "listCollections": 1, "cursor": {} },
        doc! { "listIndexes": COLLECTION, "cursor": {} },
        doc! { "find": COLLECTION, "limit": 1, "singleBatch": true },
    ]
}
