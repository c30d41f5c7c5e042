"""A valuation every day, as an Airflow 3 DAG: spark-submit of `jobs/value.py` through the connection spark_default."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import DAG

# Where this repository lies on Airflow's workers.
REPOSITORY = "/opt/dvspark"

with DAG(
    dag_id="dvspark_value",
    description="Value the training rows of a day",
    start_date=datetime(2026, 1, 1),
    schedule="@daily",
    catchup=False,
    max_active_runs=1,
) as dag:
    SparkSubmitOperator(
        task_id="value",
        conn_id="spark_default",
        application=f"{REPOSITORY}/jobs/value.py",
        properties_file=f"{REPOSITORY}/conf/spark/cluster.conf",
        py_files=f"{REPOSITORY}/dvspark.zip",  # dvspark pack dvspark.zip
        application_args=[
            f"{REPOSITORY}/conf/jobs/value.yaml",
            "--train.path",
            "hdfs:///data/train/day={{ ds }}",
            "--validation.path",
            "hdfs:///data/validation",
            "--output.path",
            "hdfs:///data/results",
            "--run_id",
            "daily-{{ ds }}",
            "--log_format",
            "json",
        ],
        # Of a run that is published already nothing is repeated, so a retry is safe; so is clearing the task.
        retries=2,
        retry_delay=timedelta(minutes=5),
    )
