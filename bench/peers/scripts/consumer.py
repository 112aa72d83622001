"""Reads a Server-Sent Events stream and sends each event to an SQS queue, as such scripts are usually written.

    consumer.py STREAM_URL QUEUE_NAME
"""

import json
import sys

import boto3
from sseclient import SSEClient

HEADERS = {"User-Agent": "sluice-bench/1.0 (https://github.com/sluice-pipeline/sluice)"}


def main(stream_url, queue_name):
    sqs = boto3.client("sqs")
    queue_url = sqs.get_queue_url(QueueName=queue_name)["QueueUrl"]
    for event in SSEClient(stream_url, headers=HEADERS):
        if event.event != "message" or not event.data:
            continue
        try:
            json.loads(event.data)
        except ValueError:
            continue
        sqs.send_message(QueueUrl=queue_url, MessageBody=event.data)


main(*sys.argv[1:])
