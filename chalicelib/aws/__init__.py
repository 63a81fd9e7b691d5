"""AWS services other than DynamoDB."""
