//! AWS Signature Version 4: headers, presigned and streamed.
