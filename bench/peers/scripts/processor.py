"""Receives ten messages at a time, keeps chosen keys, and writes a CSV object for every so many rows.

    processor.py QUEUE_NAME BUCKET COLUMNS ROWS

COLUMNS is a list like `wiki,title,event_id=meta.id`, as in SLUICE_COLUMNS.
"""

import json
import sys
from datetime import datetime, timezone

import boto3
import pandas as pd


def value_at(event, path):
    for name in path.split("."):
        event = event.get(name) if isinstance(event, dict) else None
    return event


def main(queue_name, bucket, columns, batch_rows):
    paths = dict((pair.split("=") * 2)[:2] for pair in columns.split(","))
    sqs = boto3.client("sqs")
    s3 = boto3.client("s3")
    queue_url = sqs.get_queue_url(QueueName=queue_name)["QueueUrl"]
    rows, receipts = [], []
    while True:
        answer = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=20)
        for message in answer.get("Messages", []):
            event = json.loads(message["Body"])
            rows.append({name: value_at(event, path) for name, path in paths.items()})
            receipts.append(message["ReceiptHandle"])
        while len(rows) >= int(batch_rows):
            batch, rows = rows[: int(batch_rows)], rows[int(batch_rows) :]
            done, receipts = receipts[: int(batch_rows)], receipts[int(batch_rows) :]
            frame = pd.DataFrame(batch, columns=list(paths))
            now = datetime.now(timezone.utc)
            s3.put_object(
                Bucket=bucket,
                Key=f"{now:%Y/%m/%d/%H}/events-{now:%Y%m%d%H%M%S%f}.csv",
                Body=frame.to_csv(index=False).encode(),
            )
            for receipt in done:
                sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=receipt)


main(*sys.argv[1:])
